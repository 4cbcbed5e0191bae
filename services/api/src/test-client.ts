import { Problem } from '@tavus-fleet/contracts';
import type { App } from './app.ts';
import { asA, body } from './test-world.ts';

type Request = {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  url: string;
  payload?: object | string;
  headers?: Record<string, string>;
};
type Answer = Awaited<ReturnType<App['inject']>>;

/** Asks the routes without a port, with key `a` unless told otherwise. */
export class Client {
  readonly #app: App;

  constructor(app: App) {
    this.#app = app;
  }

  ask(request: Request): Promise<Answer> {
    return this.#app.inject({ headers: asA, ...request });
  }

  post(url: string, payload: object, headers: Record<string, string> = asA): Promise<Answer> {
    return this.#app.inject({ method: 'POST', url, payload, headers });
  }

  /** Starts a conversation, which must be accepted; answers its id. */
  async start(payload: object = body, headers: Record<string, string> = asA): Promise<string> {
    const answer = await this.post('/v1/conversations', payload, headers);
    if (answer.statusCode !== 202) throw new Error(`Not accepted: ${answer.statusCode} ${answer.body}`);
    return answer.json<{ conversationId: string }>().conversationId;
  }
}

/** Status, code and named fields of an error answer, which must be a problem in every respect. */
export function problemIn(answer: Answer): { status: number; code: string; fields: Record<string, string> } {
  const type = String(answer.headers['content-type']);
  if (!type.startsWith('application/problem+json')) throw new Error(`Not a problem but ${type}: ${answer.body}`);
  const problem = Problem.parse(answer.json());
  if (problem.status !== answer.statusCode)
    throw new Error(`The problem says ${problem.status}, the answer ${answer.statusCode}.`);
  const fields = (problem.errors ?? []).map(({ field, message }) => [field, message] as const);
  return { status: problem.status, code: problem.code, fields: Object.fromEntries(fields) };
}
