import { errorCodes, FleetError, Problem, type ErrorCode } from '@tavus-fleet/contracts';
import { retry } from '@tavus-fleet/lifecycle';

export type Request = {
  readonly method: 'GET' | 'POST' | 'PATCH';
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
};

/** Tried until the caller's deadline. */
const AGAIN = { attempts: Number.POSITIVE_INFINITY, firstMs: 200, maxMs: 2_000 };

/** The api's plain requests, with the key. What it refuses becomes the FleetError that it means. */
export class Requests {
  readonly #url: string;
  readonly #key: string;

  constructor(url: string, key: string) {
    this.#url = url.replace(/\/+$/, '');
    this.#key = key;
  }

  get headers(): Record<string, string> {
    return { authorization: `Bearer ${this.#key}` };
  }

  url(path: string): string {
    return `${this.#url}${path}`;
  }

  /** The answer's JSON. Sent again while the api cannot be reached or asks for it: only for what may be done twice. */
  async json(request: Request, signal: AbortSignal): Promise<unknown> {
    return retry(AGAIN, { signal }, async () => (await this.open(request, signal)).json());
  }

  /** One request; the answer's body is the caller's to read. Rejects for every status that is not 2xx. */
  async open({ method, path, body, headers }: Request, signal: AbortSignal): Promise<Response> {
    const content = body === undefined ? {} : { 'content-type': 'application/json' };
    let response: Response;
    try {
      response = await fetch(this.url(path), {
        method,
        headers: { ...this.headers, ...content, ...headers },
        signal,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (error) {
      signal.throwIfAborted();
      throw unreachable(error);
    }
    if (response.ok) return response;
    throw problemError(response.status, await response.text().catch(() => ''), response.headers.get('retry-after'));
  }
}

export function unreachable(cause: unknown): FleetError {
  return new FleetError('api-unavailable', 'The api cannot be reached.', { cause });
}

/** The error that an answer means: its problem's code, or by its status when something else answered (a proxy). */
export function problemError(status: number, body: string, retryAfter?: string | null): FleetError {
  const seconds = Number(retryAfter ?? Number.NaN);
  const wait = Number.isFinite(seconds) ? { retryAfterMs: seconds * 1_000 } : {};
  const problem = parse(body);
  if (!problem) {
    const code =
      status === 401 || status === 403
        ? 'unauthorized'
        : status === 404
          ? 'not-found'
          : status >= 500 || status === 429
            ? 'api-unavailable'
            : 'invalid-request';
    return new FleetError(code, `Something that is not the api answered ${status}.`, wait);
  }
  const fields = (problem.errors ?? []).map(({ field, message }) => `${field}: ${message}`).join('; ');
  const [first] = problem.errors ?? [];
  return new FleetError(
    isErrorCode(problem.code) ? problem.code : 'internal',
    fields || (problem.detail ?? problem.title),
    {
      ...wait,
      ...(first ? { field: first.field } : {}),
    },
  );
}

function parse(body: string): Problem | undefined {
  try {
    return Problem.safeParse(JSON.parse(body)).data;
  } catch {
    return undefined;
  }
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorCodes, text);
}
