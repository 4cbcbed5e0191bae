import { FleetError } from '@tavus-fleet/contracts';
import type { z } from 'zod';

/** The value as its schema reads it. Throws `invalid-request` that names every wrong field in its message, and the first one in `field`. */
export function checked<T extends z.ZodType>(schema: T, value: unknown, what: string): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => {
    const path = [...issue.path, ...(issue.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [])];
    return { field: path.map(String).join('.') || what, message: issue.message };
  });
  const text = issues.map(({ field, message }) => `${field}: ${message}`).join('; ');
  throw new FleetError('invalid-request', text, { field: issues[0]?.field ?? what, cause: parsed.error });
}
