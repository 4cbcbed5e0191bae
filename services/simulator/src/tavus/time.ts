/** ISO-8601 with six fractional digits and `Z`, as Tavus' samples show it (documented); ours end in 000. */
export const microsecondTime = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z');

/** ISO-8601 in milliseconds, as our own routes speak. */
export const isoTime = (ms: number): string => new Date(ms).toISOString();
