import { FleetError } from '@tavus-fleet/contracts';
import type { App, AppDeps } from '../app.ts';
import { DrainAccepted, NoQuery, WorkerList, WorkerParams, problems } from '../schemas.ts';

/** The fleet's workers. Any key sees them: they carry no caller's data. */
export function workerRoutes(app: App, deps: AppDeps): void {
  app.get(
    '/v1/workers',
    {
      schema: {
        operationId: 'listWorkers',
        summary: 'Workers alive now',
        tags: ['fleet'],
        querystring: NoQuery,
        response: { 200: WorkerList, ...problems() },
      },
    },
    async () => ({ workers: [...(await deps.workers.list())] }),
  );

  app.post(
    '/v1/workers/:workerId/drain',
    {
      schema: {
        operationId: 'drainWorker',
        summary: 'Let a worker take no more and hand over what it has',
        tags: ['fleet'],
        params: WorkerParams,
        querystring: NoQuery,
        response: { 202: DrainAccepted, ...problems(404) },
      },
    },
    async (request, reply) => {
      const id = request.params.workerId;
      if (!(await deps.workers.drain(id))) throw new FleetError('not-found', 'There is no such worker alive.');
      return reply.code(202).send({ id, draining: true });
    },
  );
}
