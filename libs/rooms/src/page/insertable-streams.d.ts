// Chromium only (since 94), so not in TypeScript's DOM library.
declare class MediaStreamTrackProcessor<T> {
  constructor(init: { track: MediaStreamTrack; maxBufferSize?: number });
  readonly readable: ReadableStream<T>;
}
/** Wrongly a track itself: Chromium's first form of the interface, and the only one for audio. */
interface MediaStreamTrackGenerator<T> extends MediaStreamTrack {
  readonly writable: WritableStream<T>;
}
declare const MediaStreamTrackGenerator: new <T>(init: { kind: 'audio' | 'video' }) => MediaStreamTrackGenerator<T>;
