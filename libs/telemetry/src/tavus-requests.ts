import type { Metrics, TavusRoute } from './metrics.ts';
import { tookPlace } from './spans.ts';

/** What a Tavus client is given as `onRequest`: every request is counted, and is a step of the trace it belongs to. No id, no URL. */
export function tavusRequestMeter(
  metrics: Metrics,
): (route: TavusRoute, status: number | 'timeout' | 'network' | 'aborted', ms: number) => void {
  return (route, status, ms) => {
    metrics.tavusRequest(route, status);
    const answered = typeof status === 'number';
    tookPlace(`tavus ${route}`, ms, {
      ...(answered ? { 'http.response.status_code': status } : {}),
      ...(answered && status < 400 ? {} : { 'error.type': String(status) }),
    });
  };
}
