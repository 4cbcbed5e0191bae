import { TavusFailure } from '@tavus-fleet/tavus';
import { describe, expect, it } from 'vitest';
import { tavusPersonas } from './personas.ts';

const failing = (httpStatus: number | undefined, code: 'tavus-invalid-request' | 'tavus-unavailable') =>
  tavusPersonas({
    getPersona: async () => {
      throw new TavusFailure(code, 'Tavus said no.', { httpStatus });
    },
  }).getPersona('p1', new AbortController().signal);

describe('tavusPersonas', () => {
  it.each([400, 404])('takes %i for an unknown persona', async (status) => {
    await expect(failing(status, 'tavus-invalid-request')).rejects.toMatchObject({ code: 'not-found' });
  });

  it.each([500, undefined])('passes %s on', async (status) => {
    await expect(failing(status, 'tavus-unavailable')).rejects.toMatchObject({ code: 'tavus-unavailable' });
  });
});
