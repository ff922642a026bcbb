/** The origin behind `demo: true`: something to see on a machine that has nothing else to offer. */
export { DemoOrigins } from './demo-origins.js';
