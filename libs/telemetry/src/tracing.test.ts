import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FleetError } from '@tavus-fleet/contracts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createMetrics } from './metrics.ts';
import { currentTraceparent, inTrace, serverSpan, traced, traceparentOf } from './spans.ts';
import { tavusRequestMeter } from './tavus-requests.ts';
import { startTracing, type Tracing } from './tracing.ts';

type Span = {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly attributes: { key: string; value: Record<string, unknown> }[];
  readonly events: { attributes: { key: string; value: Record<string, unknown> }[] }[];
  readonly status: { code?: number };
};

const said: string[] = [];
const log = {
  info: (_: object, message: string) => void said.push(message),
  warn: (_: object, message: string) => void said.push(message),
};
const TRACEPARENT = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`;

describe('without a collector', () => {
  it('traces nothing, and whatever is wrapped runs as it would', async () => {
    const tracing = await startTracing({ endpoint: undefined, service: 's', version: '0', instanceId: 'i', log });
    expect(tracing.bullmq).toBeUndefined();
    expect(await traced('work', { parent: TRACEPARENT }, () => Promise.resolve(7))).toBe(7);
    await expect(traced('work', {}, () => Promise.reject(new Error('as it came')))).rejects.toThrow('as it came');
    expect(currentTraceparent()).toBeUndefined();
    expect(inTrace(TRACEPARENT, () => 8)).toBe(8);
    await tracing.close();
  });
});

describe('with a collector', () => {
  let server: Server;
  let tracing: Tracing;
  let spans: Span[];
  let status: number;

  beforeEach(async () => {
    spans = [];
    said.length = 0;
    status = 200;
    server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (text: string) => (body += text));
      request.on('end', () => {
        // Safe: the exporter's own shape, of which only what is asserted is read.
        const sent = JSON.parse(body) as { resourceSpans: { scopeSpans: { spans: Span[] }[] }[] };
        spans.push(...sent.resourceSpans.flatMap((of) => of.scopeSpans.flatMap((scope) => scope.spans)));
        response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo; // safe: it listens on a port
    tracing = await startTracing({
      endpoint: `http://127.0.0.1:${port}/`,
      service: 's',
      version: '0',
      instanceId: 'i',
      log,
    });
  });

  afterEach(async () => {
    await tracing.close();
    server.closeAllConnections();
    server.close();
  });

  const sent = async (): Promise<ReadonlyMap<string, Span>> => {
    await tracing.close();
    return new Map(spans.map((span) => [span.name, span]));
  };
  const attribute = (of: { attributes: Span['attributes'] } | undefined, key: string): unknown =>
    Object.values(of?.attributes.find((each) => each.key === key)?.value ?? {})[0];

  it('nests what is made within, over awaits, and goes on in the trace that a record or a job keeps', async () => {
    let kept: string | undefined;
    const request = serverSpan('POST /v1/conversations', {}, undefined);
    await new Promise<void>((resolve) => request.within(resolve));
    await new Promise<void>((resolve, reject) =>
      request.within(() => {
        const work = traced('write record', {}, async () => {
          await Promise.resolve();
          kept = currentTraceparent();
        });
        work.then(resolve, reject);
      }),
    );
    request.end({ 'http.response.status_code': 202 });
    const job = traceparentOf(JSON.stringify({ traceparent: kept }));
    await traced('claim', { kind: 'consumer', parent: job }, () =>
      // Around us there is a trace: the record's does not count.
      traced('start', { parent: TRACEPARENT }, () => Promise.resolve()),
    );
    await traced('takeover', { kind: 'consumer', parent: kept }, () => Promise.resolve());
    const by = await sent();
    const trace = by.get('POST /v1/conversations')?.traceId;
    expect([...by.values()].map(({ traceId }) => traceId)).toEqual(Array.from({ length: 5 }, () => trace));
    expect(by.get('write record')?.parentSpanId).toBe(by.get('POST /v1/conversations')?.spanId);
    expect(by.get('claim')?.parentSpanId).toBe(by.get('write record')?.spanId);
    expect(by.get('start')?.parentSpanId).toBe(by.get('claim')?.spanId);
    expect(by.get('takeover')?.parentSpanId).toBe(by.get('write record')?.spanId);
  });

  it('says what failed by its code, and nothing of what the error says', async () => {
    const cause = new Error('https://acme.daily.co/the-room and more');
    const thrown = new FleetError('room-join-failed', 'no https://acme.daily.co/the-room', { cause });
    await traced('join', { kind: 'consumer' }, () => Promise.reject(thrown)).catch(() => undefined);
    const join = (await sent()).get('join');
    expect(join?.status.code).toBe(2);
    expect(attribute(join, 'error.type')).toBe('room-join-failed');
    expect(JSON.stringify(join)).not.toContain('the-room');
  });

  it('scrubs what others put into spans: attributes and recorded exceptions', async () => {
    const span = tracing.bullmq?.tracer.startSpan('add sessions.start', { kind: 3 });
    span?.setAttributes({ note: 'at https://acme.daily.co/the-room', token: 'the-room' });
    span?.recordException(new Error('redis://:the-room@host is away'));
    span?.end();
    const added = (await sent()).get('add sessions.start');
    expect(attribute(added, 'note')).toBe('at https://acme.daily.co/[redacted]');
    expect(added?.events).toHaveLength(1);
    expect(JSON.stringify(added)).not.toContain('the-room');
  });

  it('begins no trace for housekeeping, but tells it within one', async () => {
    tracing.bullmq?.tracer.startSpan('moveStalledJobsToWait', { kind: 0 }).end();
    const onRequest = tavusRequestMeter(createMetrics({ processMetrics: false }));
    onRequest('list', 200, 5);
    await traced('end', { kind: 'consumer' }, async () => onRequest('end', 'timeout', 40));
    const by = await sent();
    expect([...by.keys()].toSorted()).toEqual(['end', 'tavus end']);
    expect(attribute(by.get('tavus end'), 'error.type')).toBe('timeout');
  });

  it.each([undefined, 7, '', 'no json', '[]', '{"traceparent":7}', '{}'])(
    'takes job metadata %j for none',
    (metadata) => {
      expect(traceparentOf(metadata)).toBeUndefined();
    },
  );

  it('says once that the collector refuses', async () => {
    status = 400;
    await traced('one', { kind: 'consumer' }, () => Promise.resolve());
    await sent();
    expect(said).toEqual(['traces are not taken; those of this time are lost']);
  });
});
