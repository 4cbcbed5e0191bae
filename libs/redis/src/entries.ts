/** One entry of a stream: its id (`ms-n`) and fields, names as text, values as bytes. */
export type StreamEntry = { readonly id: string; readonly fields: Map<string, Uint8Array> };

/** An entry as the driver's `…Buffer` commands give it. */
export type RawEntry = readonly [id: Buffer, fields: readonly Buffer[]];

/** Entries without copying their values; on the path of every audio frame. */
export function readEntries(raw: readonly RawEntry[]): StreamEntry[] {
  return raw.map(([id, pairs]) => {
    const fields = new Map<string, Uint8Array>();
    for (let i = 0; i + 1 < pairs.length; i += 2) {
      const name = pairs[i];
      const value = pairs[i + 1];
      if (name !== undefined && value !== undefined) fields.set(name.toString('utf8'), value);
    }
    return { id: id.toString('latin1'), fields };
  });
}

/** Orders two stream ids (`ms-n`, or `ms` alone for `ms-0`): negative when `a` comes first. */
export function compareIds(a: string, b: string): number {
  if (a === b) return 0;
  const [aMs = '0', aSeq = '0'] = a.split('-');
  const [bMs = '0', bSeq = '0'] = b.split('-');
  // Milliseconds fit a double; a sequence number may not, so long ones are compared as text of equal length.
  return Number(aMs) - Number(bMs) || aSeq.length - bSeq.length || (aSeq < bSeq ? -1 : aSeq > bSeq ? 1 : 0);
}
