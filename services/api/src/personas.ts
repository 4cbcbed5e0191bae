import { FleetError } from '@tavus-fleet/contracts';
import { TavusFailure, type TavusClient } from '@tavus-fleet/tavus';
import type { Personas } from './ports.ts';

/** Tavus' personas behind our port. An id that Tavus does not know is the caller's mistake, not the vendor's failure. */
export function tavusPersonas(tavus: Pick<TavusClient, 'getPersona'>): Personas {
  return {
    async getPersona(personaId, signal) {
      try {
        return await tavus.getPersona(personaId, { signal });
      } catch (error) {
        // Documented as 400 with a wording of its own; 404 is observed for other resources. The id's form was checked before.
        const unknown = error instanceof TavusFailure && (error.httpStatus === 404 || error.httpStatus === 400);
        throw unknown ? new FleetError('not-found', 'Tavus knows no such persona.', { cause: error }) : error;
      }
    },
  };
}
