import { fieldProblems, type FieldProblem } from '@tavus-fleet/contracts';
import type { FastifySchemaCompiler } from 'fastify';
import type { z } from 'zod';
import { InvalidRequest } from './problem.ts';

const parts: Readonly<Record<string, string>> = {
  body: 'body',
  querystring: 'query',
  params: 'path',
  headers: 'headers',
};

/** Checks a part of a request by its zod schema; a failure carries every bad field by name. */
export const validatorCompiler = validatorWith(() => []);

/**
 * The same with a rule of the body that depends on how this process is configured, which a schema cannot say. The rule is asked
 * whether or not the schema is satisfied, so that one answer names everything; it gets the body as it came.
 */
export function validatorWith(bodyRule: (body: unknown) => readonly FieldProblem[]): FastifySchemaCompiler<unknown> {
  return ({ schema, httpPart }) => {
    const where = parts[httpPart ?? ''] ?? 'request';
    return (data) => {
      // Fastify hands null where there was no body.
      // Every schema of our routes is zod's; fastify's types would have the whole route's object here.
      const result = (schema as z.ZodType).safeParse(data ?? undefined);
      const wrong = result.success ? [] : fieldProblems(result.error.issues, where);
      const more = httpPart === 'body' ? bodyRule(data) : [];
      const all = [...wrong, ...more.filter(({ field }) => !wrong.some((one) => one.field === field))];
      return result.success && all.length === 0 ? { value: result.data } : { error: new InvalidRequest(all) };
    };
  };
}
