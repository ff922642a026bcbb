/** Where the capture thread begins and ends. */
import { workerData } from 'node:worker_threads';
import { Recorder } from './recorder.js';
import type { RecorderStart } from './recorder-messages.js';

const start = workerData as RecorderStart;
new Recorder(start).run();
start.port.close();
