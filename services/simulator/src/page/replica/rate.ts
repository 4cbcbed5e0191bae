/** The replica's one sample rate: that of its voice and of the recording. */
export const RATE = 24_000;
