import { describe, expect, it } from 'vitest';
import { createMetrics, metricNames } from './metrics.ts';

const exposed = async (metrics: ReturnType<typeof createMetrics>): Promise<string> => (await metrics.expose()).body;
const namesIn = (body: string): string[] => [...body.matchAll(/^# TYPE (fleet_\w+)/gm)].map((match) => match[1] ?? '');

describe('createMetrics', () => {
  it('exposes exactly the documented names and the process metrics', async () => {
    const body = await exposed(createMetrics());
    expect(namesIn(body).toSorted()).toEqual([...metricNames].toSorted());
    expect(body).toContain('process_resident_memory_bytes');
  });

  it('exposes the subset it was told; the rest takes values silently', async () => {
    const metrics = createMetrics({ only: ['fleet_queue_oldest_seconds'], processMetrics: false });
    metrics.queueOldest(3);
    metrics.takeover();
    expect(namesIn(await exposed(metrics))).toEqual(['fleet_queue_oldest_seconds']);
  });

  it('writes values under closed labels', async () => {
    const metrics = createMetrics({ processMetrics: false });
    metrics.conversations('live', 3);
    metrics.slots('free', 7);
    metrics.sessionEnded('room-empty');
    metrics.framesDropped('interrupted', 4);
    metrics.framesDropped('something-new', 1);
    metrics.tavusRequest('create', 400);
    metrics.tavusRequest('/v2/conversations/c123', 999);
    metrics.takeover();
    metrics.handOver('given');
    metrics.ttfb(0.42);
    const body = await exposed(metrics);
    for (const line of [
      'fleet_conversations{state="live"} 3',
      'fleet_slots{state="free"} 7',
      'fleet_session_end_total{reason="room-empty"} 1',
      'fleet_frames_dropped_total{why="interrupted"} 4',
      'fleet_frames_dropped_total{why="other"} 1',
      'fleet_tavus_requests_total{route="create",status="400"} 1',
      'fleet_tavus_requests_total{route="other",status="other"} 1',
      'fleet_takeovers_total 1',
      'fleet_hand_overs_total{outcome="given"} 1',
      'fleet_ttfb_seconds_bucket{le="0.5"} 1',
    ]) {
      expect(body.split('\n')).toContain(line);
    }
  });

  it('never throws, and leaves nonsense out', async () => {
    const metrics = createMetrics({ processMetrics: false });
    metrics.ttfb(Number.NaN);
    metrics.browserMemory(Number.POSITIVE_INFINITY);
    metrics.framesDropped('late', -1);
    metrics.onExpose(() => {
      throw new Error('Redis is away');
    });
    const body = await exposed(metrics);
    expect(body).toContain('fleet_ttfb_seconds_count 0');
    expect(body).toContain('fleet_browser_memory_bytes 0');
  });

  it('keeps no process-global state', async () => {
    const [first, second] = [createMetrics({ processMetrics: false }), createMetrics({ processMetrics: false })];
    first.takeover();
    expect(await exposed(second)).toContain('fleet_takeovers_total 0');
  });
});
