import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ApiKey, Secret } from '@tavus-fleet/config';
import type { Clock } from '@tavus-fleet/lifecycle';
import type { Logger, Metrics } from '@tavus-fleet/telemetry';
import websocket from '@fastify/websocket';
import fastify, { LogController, type FastifyBaseLogger, type FastifyInstance, type RawServerDefault } from 'fastify';
import { serializerCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { authenticate } from './auth.ts';
import { answerErrors, sendProblem } from './errors.ts';
import { parseJsonBody } from './json-body.ts';
import { openapi } from './openapi.ts';
import type { Conversations, Events, Frames, Health, Idempotency, Jobs, Notices, Personas, Workers } from './ports.ts';
import { logRequests } from './request-log.ts';
import { traceRequests } from './request-trace.ts';
import { audioRoutes } from './routes/audio.ts';
import { controlRoutes } from './routes/control.ts';
import { conversationRoutes } from './routes/conversations.ts';
import { eventRoutes } from './routes/events.ts';
import { frameRoutes } from './routes/frames.ts';
import { healthRoutes, metricsRoutes } from './routes/health.ts';
import { personaRoutes } from './routes/personas.ts';
import { tavusCallbackRoute } from './routes/tavus-callback.ts';
import { workerRoutes } from './routes/workers.ts';
import { validatorCompiler } from './validation.ts';

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

export type AppDeps = {
  readonly conversations: Conversations;
  readonly jobs: Jobs;
  readonly idempotency: Idempotency;
  readonly frames: Frames;
  readonly events: Events;
  readonly notices: Notices;
  /** Of the tokens in Tavus' callback URLs. */
  readonly callbackKey: Secret<Uint8Array>;
  readonly personas: Personas;
  readonly workers: Workers;
  readonly health: Health;
  readonly keys: Secret<readonly ApiKey[]>;
  readonly userRoomHosts: readonly string[];
  readonly publicUrl: string | undefined;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly version: string;
  /** Whether requests are traced: `startTracing` was given a collector. */
  readonly tracing?: boolean;
  /** Aborts when the process is told to leave: not ready any more, event streams end; ordinary requests are still answered. */
  readonly draining: AbortSignal;
};

/** Bodies other than frames: a start request with its longest texts is well below. Bytes. */
const BODY_LIMIT = 256 * 1024;

/** One WebSocket message: the longest audio as base64 in a JSON frame, with room around it. Bytes. */
const MAX_MESSAGE = 1_500_000;

/** The HTTP surface. Routes only: it owns no connection and opens no port, so that tests inject requests. */
export async function buildApp(deps: AppDeps): Promise<App> {
  const logger: FastifyBaseLogger = deps.log;
  const app: App = fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }), // request-log.ts writes one line per request instead of fastify's two
    bodyLimit: BODY_LIMIT,
    requestTimeout: 30_000, // a request must be here wholly by then; answers (event streams) may take as long as they like
    keepAliveTimeout: 65_000, // above the 60 s of common load balancers, so that we are never the one who closes under a request
    routerOptions: { maxParamLength: 128, ignoreTrailingSlash: false, caseSensitive: true },
    exposeHeadRoutes: false, // a HEAD on the event stream would never end
    return503OnClosing: false, // errors.ts says it as a problem
    forceCloseConnections: 'idle',
    frameworkErrors: (error, _request, reply) => void sendProblem(reply, error), // bad URLs never reach the error handler
    genReqId: (request) => {
      const given = request.headers['x-request-id'];
      return typeof given === 'string' && /^[\w-]{1,64}$/.test(given) ? given : randomUUID();
    },
  }).withTypeProvider<ZodTypeProvider>();

  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, async (_request: unknown, body: string) =>
    parseJsonBody(body),
  );
  app.decorateRequest('caller', '');
  app.decorateRequest('owns'); // set with the key; there is none on public routes
  answerErrors(app, deps);
  logRequests(app, deps);

  await app.register(websocket, {
    options: { maxPayload: MAX_MESSAGE, perMessageDeflate: false },
    // The plugin's own writes an error with its stack for every socket that a client breaks, and cuts it before it has heard why.
    errorHandler: (error, socket) => {
      deps.log.info({ code: 'code' in error ? String(error.code) : error.name }, 'websocket broken');
      if (socket.readyState === socket.OPEN) socket.close(1011, 'try again later');
    },
  });
  await openapi(app, deps);
  healthRoutes(app, deps);
  tavusCallbackRoute(app, deps);
  await app.register(async (scope) => {
    const keyed: App = scope.withTypeProvider<ZodTypeProvider>();
    keyed.addHook('onRequest', authenticate(deps.keys));
    if (deps.tracing) traceRequests(keyed);
    conversationRoutes(keyed, deps);
    controlRoutes(keyed, deps);
    frameRoutes(keyed, deps);
    audioRoutes(keyed, deps);
    eventRoutes(keyed, deps);
    personaRoutes(keyed, deps);
    workerRoutes(keyed, deps);
    metricsRoutes(keyed, deps);
  });
  return app;
}
