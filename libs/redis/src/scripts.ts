import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { ConversationKeys } from '@tavus-fleet/contracts';
import { Cluster } from 'ioredis';
import type { RedisConnection } from './connect.ts';

type Argument = string | number | Buffer;
/** What a script is called with. All keys of one call share a hash tag. */
export type Call = { readonly keys: readonly string[]; readonly args: readonly Argument[] };

const shared = source('shared');

/**
 * One Lua script of src/scripts with the type of its answer. Called by hash; a server that does not know the hash (a
 * restart, a failover, another node) gets the text. The driver's own `defineCommand` was not taken: it adds untyped
 * methods to a connection that others share.
 */
export class Script<Answer> {
  readonly #lua: string;
  readonly #sha: string;
  readonly #read: (raw: unknown) => Answer;

  /** `read` checks the raw answer; it may throw. */
  constructor(name: string, read: (raw: unknown) => Answer) {
    this.#lua = shared + source(name);
    this.#sha = createHash('sha1').update(this.#lua).digest('hex');
    this.#read = read;
  }

  async run(redis: RedisConnection, keys: readonly string[], ...args: Argument[]): Promise<Answer> {
    try {
      return this.#read(await redis.evalsha(this.#sha, keys.length, ...keys, ...args));
    } catch (error) {
      if (!isUnknownScript(error)) throw error;
      return this.#read(await redis.eval(this.#lua, keys.length, ...keys, ...args));
    }
  }

  /**
   * Runs many calls in one round trip, each with its answer or its error; rejects only if none could be sent. A Cluster
   * has no pipeline across nodes: there the calls go out one by one in the same turn.
   */
  async runAll(redis: RedisConnection, calls: readonly Call[]): Promise<(Answer | Error)[]> {
    if (redis instanceof Cluster)
      return Promise.all(calls.map((call) => this.run(redis, call.keys, ...call.args).catch(asError)));
    const pipeline = redis.pipeline();
    for (const { keys, args } of calls) pipeline.evalsha(this.#sha, keys.length, ...keys, ...args);
    const replies = (await pipeline.exec()) ?? [];
    return Promise.all(
      calls.map(async (call, index) => {
        const [error, raw] = replies[index] ?? [new Error('No reply.')];
        try {
          if (!error) return this.#read(raw);
          return isUnknownScript(error) ? await this.run(redis, call.keys, ...call.args) : error;
        } catch (thrown) {
          return asError(thrown);
        }
      }),
    );
  }
}

/** A script that answers one of a few words. */
export function wordScript<const Words extends readonly string[]>(name: string, words: Words): Script<Words[number]> {
  return new Script(name, (raw): Words[number] => {
    const word = words.find((known) => known === raw);
    if (word === undefined) throw new Error(`Script ${name} gave an answer that is not in its list.`);
    return word;
  });
}

/** A script that answers any text. */
export function textScript(name: string): Script<string> {
  return new Script(name, (raw) => {
    if (typeof raw === 'string') return raw;
    throw new Error(`Script ${name} gave no text.`);
  });
}

/** A script that answers a list of texts. */
export function listScript(name: string): Script<string[]> {
  return new Script(name, (raw) => {
    if (Array.isArray(raw) && raw.every((item) => typeof item === 'string')) return raw;
    throw new Error(`Script ${name} gave no list of texts.`);
  });
}

/** The order in which whole-conversation scripts take their keys; shared.lua counts on it. */
export function conversationKeyList(keys: ConversationKeys): readonly string[] {
  return [keys.record, keys.secrets, keys.lease, keys.frames, keys.events, keys.audio, keys.video, keys.userAudio];
}

function source(name: string): string {
  return readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), 'utf8');
}

function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT');
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error('Something that is not an Error was thrown.');
}
