// For Node. A page bundle imports the files it needs (`@tavus-fleet/audio/speech-detector`): the resampler loads its WASM with
// the means of Node, and everything else here runs anywhere.
export * from './chunker.ts';
export * from './normalizer.ts';
export * from './odd-byte-carry.ts';
export * from './pcm.ts';
export * from './resampler.ts';
export * from './speech-detector.ts';
export * from './wav.ts';
