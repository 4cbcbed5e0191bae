const VIDEO_CODEC = /^a=rtpmap:(\d+) (?:VP8|VP9|H264|AV1)\/90000$/i;

/** Without the candidate lines: candidates travel one by one, through the loopback rule. */
export function withoutCandidates(sdp: string): string {
  return sdp
    .split('\r\n')
    .filter((line) => !line.startsWith('a=candidate:') && line !== 'a=end-of-candidates')
    .join('\r\n');
}

/**
 * Lets the encoder start at `kbps` instead of Chromium's 300, so that the first seconds are not a small or blurred picture.
 * Goes into the remote description of the sending side (`x-google-start-bitrate`, understood by Chromium only).
 */
export function withStartBitrate(sdp: string, kbps: number): string {
  const lines = sdp.split('\r\n');
  const payloads = lines.flatMap((line) => VIDEO_CODEC.exec(line)?.[1] ?? []);
  return lines
    .flatMap((line) => {
      const fmtp = /^a=fmtp:(\d+) /.exec(line)?.[1];
      if (fmtp !== undefined && payloads.includes(fmtp)) return [`${line};x-google-start-bitrate=${kbps}`];
      const payload = VIDEO_CODEC.exec(line)?.[1];
      const hasFmtp = lines.some((other) => other.startsWith(`a=fmtp:${payload} `));
      return payload === undefined || hasFmtp ? [line] : [line, `a=fmtp:${payload} x-google-start-bitrate=${kbps}`];
    })
    .join('\r\n');
}
