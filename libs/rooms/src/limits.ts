/**
 * Numbers that both ends of the media channel and the page obey. Our choices unless a line says otherwise.
 */

/** Rate of the PCM that goes in and of the page's audio context. */
export const sampleRate = 24_000;
/** Received sound leaves the page in blocks of this much. */
export const pcmBlockMs = 20;
/** How much may wait in the page's socket before pieces are left out: pictures first, sound at the second. Our process reads it within milliseconds, or stands still. */
export const maxBufferedBytes = { picture: 512 * 1024, sound: 1024 * 1024 } as const;
/**
 * Key frames of an encoded stream come at least so often, so that what is kept of it (half a minute) never lacks one. WebRTC's
 * encoders send none by themselves. Our choice.
 */
export const keyFrameEveryMs = 10_000;
/** What may wait in the page: 10 s of PCM. */
export const maxWaitingSamples = 10 * sampleRate;
/**
 * After an empty ring the first sound waits for this much audio, or this long when the utterance is shorter: a late block then
 * makes no hole. Measured with blocks of 20 ms in real time on two busy cores, 8 s: at 20 ms the ring ran empty five times
 * (one run), at 40 ms never (two runs). Every millisecond here is heard as delay, so not more.
 */
export const prebufferMs = 40;
/** How often the ring tells how far it is while it plays. */
export const playedReportMs = 100;

/** Node → page. The page's own process fences itself by the absence of this. */
export const heartbeatMs = 500;
/** Without a heartbeat for this long the page is silent in both rooms. */
export const silenceAfterMs = 2_000;
/** … and for this long it leaves both rooms. */
export const leaveAfterMs = 5_000;
/** Node side: a page whose worker or main thread has not answered for this long is given up; seen with the next heartbeat. Joining takes the main thread a second on two busy cores. */
export const pageSilentMs = 4_000;

/** Peak (of 32767) up to which a 10 ms frame of received audio is silence: −46 dBFS, above Opus' comfort noise, below a whisper. */
export const speechThreshold = 164;
/** Silence inside speech that does not end it. Pipecat's figure. */
export const speechHangoverMs = 350;

/** Daily's own fallback (observed in daily-js 0.92.2). */
export const defaultMaxMessageLength = 4_096;
