import { FleetError } from '@tavus-fleet/contracts';
import { z } from 'zod';
import type { App, AppDeps } from '../app.ts';
import { Healthy, problems } from '../schemas.ts';

/** /healthz: the process runs. /readyz: send me requests. Without a key and without reasons: strangers may ask. */
export function healthRoutes(app: App, deps: AppDeps): void {
  const open = { tags: ['process'], security: [] };
  const unavailable = problems()[503];

  app.get(
    '/healthz',
    { schema: { ...open, operationId: 'healthz', summary: 'Whether the process runs', response: { 200: Healthy } } },
    async () => ({ status: 'ok' as const }),
  );

  app.get(
    '/readyz',
    {
      schema: {
        ...open,
        operationId: 'readyz',
        summary: 'Whether it can serve',
        response: { 200: Healthy, 503: unavailable },
      },
    },
    async () => {
      if (deps.draining.aborted) throw new FleetError('shutting-down', 'This process takes its leave.');
      await deps.health.check();
      return { status: 'ok' as const };
    },
  );
}

export function metricsRoutes(app: App, deps: AppDeps): void {
  const text = { description: 'Prometheus text', content: { 'text/plain': { schema: z.string() } } };
  app.get(
    '/metrics',
    {
      schema: {
        operationId: 'metrics',
        summary: 'Prometheus metrics',
        tags: ['process'],
        response: { 200: text, ...problems() },
      },
    },
    async (_request, reply) => {
      const { contentType, body } = await deps.metrics.expose();
      return reply.type(contentType).serializer(String).send(body);
    },
  );
}
