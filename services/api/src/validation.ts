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
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart }) => {
  const where = parts[httpPart ?? ''] ?? 'request';
  return (data) => {
    // Fastify hands null where there was no body.
    const result = schema.safeParse(data ?? undefined);
    return result.success ? { value: result.data } : { error: InvalidRequest.of(result.error, where) };
  };
};
