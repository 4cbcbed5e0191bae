/** The figures of `getNetworkStats()`; those that a loopback mesh cannot give are null, as daily-js' types allow. */
type Sums = { at: number; bytes: Record<'sendvideo' | 'sendaudio' | 'recvvideo' | 'recvaudio', number> };

/** Bit rates since the previous question, over all peer connections of the call. */
export class CallStats {
  #last: Sums | null = null;

  async latest(reports: readonly Promise<RTCStatsReport>[]): Promise<Record<string, unknown>> {
    const now: Sums = { at: Date.now(), bytes: { sendvideo: 0, sendaudio: 0, recvvideo: 0, recvaudio: 0 } };
    let roundTripSeconds: number | null = null;
    for (const result of await Promise.allSettled(reports)) {
      if (result.status === 'rejected') continue; // closed meanwhile
      for (const entry of result.value.values()) {
        // RTCStatsReport is untyped in the DOM library; the fields read here are checked one by one.
        const stat = entry as Record<string, unknown>;
        const kind = stat['kind'] === 'video' ? 'video' : 'audio';
        if (stat['type'] === 'outbound-rtp') now.bytes[`send${kind}`] += numberOf(stat['bytesSent']);
        if (stat['type'] === 'inbound-rtp') now.bytes[`recv${kind}`] += numberOf(stat['bytesReceived']);
        if (stat['type'] === 'candidate-pair' && stat['nominated'] === true)
          roundTripSeconds = numberOf(stat['currentRoundTripTime']);
      }
    }
    const before = this.#last;
    this.#last = now;
    const rate = (...keys: (keyof Sums['bytes'])[]): number | null => {
      if (!before || now.at === before.at) return null;
      const bytes = keys.reduce((sum, key) => sum + now.bytes[key] - before.bytes[key], 0);
      return Math.max(0, Math.round((bytes * 8000) / (now.at - before.at)));
    };
    return {
      timestamp: now.at,
      recvBitsPerSecond: rate('recvvideo', 'recvaudio'),
      sendBitsPerSecond: rate('sendvideo', 'sendaudio'),
      videoRecvBitsPerSecond: rate('recvvideo'),
      videoSendBitsPerSecond: rate('sendvideo'),
      audioRecvBitsPerSecond: rate('recvaudio'),
      audioSendBitsPerSecond: rate('sendaudio'),
      networkRoundTripTime: roundTripSeconds,
      availableOutgoingBitrate: null,
      totalSendPacketLoss: 0,
      totalRecvPacketLoss: 0,
    };
  }
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
