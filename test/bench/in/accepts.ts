import { Pool } from 'undici';

const body = JSON.stringify({
  replicaId: 'r79e1c033f',
  output: { room: { url: 'https://acme.daily.co/room', token: 't'.repeat(200) } },
  metadata: { order: 7 },
});

/** Starts that were answered with 202, a second, by so many connections that each ask again as soon as they are answered. */
export async function acceptsPerSecond(options: {
  url: string;
  headers: Record<string, string>;
  connections: number;
  seconds: number;
  signal: AbortSignal;
}): Promise<number> {
  const { url, headers, connections, seconds, signal } = options;
  const pool = new Pool(url, { connections, pipelining: 1 });
  const begun = performance.now();
  const until = begun + seconds * 1_000;
  let accepted = 0;
  const caller = async (): Promise<void> => {
    while (performance.now() < until) {
      const answer = await pool.request({ method: 'POST', path: '/v1/conversations', headers, body, signal });
      const text = await answer.body.text();
      if (answer.statusCode !== 202) throw new Error(`${answer.statusCode}: ${text}`);
      accepted += 1;
    }
  };
  try {
    await Promise.all(Array.from({ length: connections }, caller));
    return (accepted * 1_000) / (performance.now() - begun);
  } finally {
    await pool.destroy();
  }
}
