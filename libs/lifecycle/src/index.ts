export * from './clock.ts';
export * from './deadline.ts';
export * from './emitter.ts';
export * from './fake-clock.ts';
export * from './first-of.ts';
export * from './latch.ts';
export * from './retry.ts';
export * from './together.ts';
