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

/** What a worker gets in `rtctransform`: TypeScript has it in the worker's library only, which does not go together with the DOM's. */
interface RTCRtpScriptTransformer {
  readonly readable: ReadableStream<RTCEncodedVideoFrame>;
  readonly writable: WritableStream<RTCEncodedVideoFrame>;
  readonly options: unknown;
  /** Rejects or throws before the connection's answer is applied. */
  sendKeyFrameRequest(): Promise<void>;
}
interface RTCEncodedVideoFrameMetadata {
  /** When its last packet arrived, ms since the worker's `timeOrigin`. */
  readonly receiveTime?: number;
}
