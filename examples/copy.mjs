// Copies a file, sharing its blocks where the filesystem can: node copy.mjs FROM TO
import { openSync } from 'node:fs';
import * as lib from 'headgate/splice';

const [from, to] = process.argv.slice(2);
const copied = lib.copyFile(lib.createKernel(), openSync(from, 'r'), openSync(to, 'w'));
if (typeof copied === 'number') throw new Error(lib.errnoName(-copied));
console.log(`${copied.bytes} bytes by ${copied.path}`);
