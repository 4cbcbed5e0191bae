/**
 * Tavus' error answers, word for word. It has two shapes, `{error}` and `{message}`, and no code; a client must parse
 * both. documented / observed / our choice stands beside each.
 */
export class TavusError extends Error {
  readonly status: number;
  readonly body: { readonly error: string } | { readonly message: string };
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, body: TavusError['body'], headers: Readonly<Record<string, string>> = {}) {
    super('error' in body ? body.error : body.message);
    this.name = 'TavusError';
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

/** Each call makes a fresh error, so that stacks stay true. */
export const tavusErrors = {
  /** Documented. */
  accessToken: () => new TavusError(401, { message: 'Invalid access token' }),
  /** Documented: 400, not 404. */
  conversationId: () => new TavusError(400, { error: 'Invalid conversation_id' }),
  /** Documented for persona creation; `replica_uuid` although the field is `replica_id`. */
  replicaId: (field: 'replica_id' | 'face_id') =>
    new TavusError(400, { error: field === 'face_id' ? 'Invalid face_id' : 'Invalid replica_uuid' }),
  /** Observed. */
  personaId: (field: 'persona_id' | 'pal_id') => new TavusError(400, { error: `Invalid ${field}` }),
  /** Observed: the concurrency limit is a 400. */
  concurrency: () => new TavusError(400, { message: 'User has reached maximum concurrent conversations' }),
  /** Observed; the final dot varies in the field. */
  credits: () => new TavusError(402, { message: 'The user is out of conversational credits.' }),
  /** Documented: the general failure of create. */
  createFailed: () =>
    new TavusError(400, {
      error: 'There was an error creating the conversation, please reach out to support at support@tavus.io!',
    }),
  /** Our choice: Tavus does not document how it words a field of the wrong type. It names the field. */
  field: (path: string, problem: string) => new TavusError(400, { error: `${path}: ${problem}` }),
  /** Our choice. */
  tooMany: (retryAfterSeconds: number) =>
    new TavusError(429, { message: 'Too many requests' }, { 'retry-after': String(retryAfterSeconds) }),
  /** Our choice. */
  server: (status: number) => new TavusError(status, { message: 'Internal server error' }),
  /** Our choice. */
  noRoute: () => new TavusError(404, { message: 'Not found' }),
} as const;
