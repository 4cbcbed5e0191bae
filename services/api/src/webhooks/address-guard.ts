import { lookup as systemLookup, type LookupAddress, type LookupOptions } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { buildConnector } from 'undici';

/** A network as ipaddr.js takes it apart. */
type Network = ReturnType<typeof ipaddr.parseCIDR>;
export type Resolve = (
  hostname: string,
  options: LookupOptions & { all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** No connection is made to where this request would go. Says the kind of address, never the address. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused';
}

// What an operator may open by name. The rest (link-local with the clouds' metadata services, multicast, tunnels that carry another
// address inside) is nobody's endpoint.
const OPENABLE = new Set(['private', 'loopback', 'uniqueLocal', 'carrierGradeNat']);
/** Global unicast; what lies outside of it and has no name of its own is reserved, or an old way of writing an IPv4 address. */
const GLOBAL_V6 = ipaddr.parseCIDR('2000::/3');

export function parseNetworks(networks: readonly string[]): readonly Network[] {
  return networks.map((network) => ipaddr.parseCIDR(network));
}

/** Why nothing may be sent to an address, or undefined. `plain`: without TLS, which only loopback may be. */
export function whyRefused(address: string, opened: readonly Network[], plain: boolean): string | undefined {
  if (!ipaddr.isValid(address)) return 'is not an address';
  const parsed = ipaddr.process(address); // ::ffff:10.0.0.1 is 10.0.0.1
  const range = parsed.range();
  if (plain && range !== 'loopback') return `is ${range}, and only loopback may go without TLS`;
  if (range === 'unicast')
    return parsed.kind() === 'ipv4' || parsed.match(GLOBAL_V6) ? undefined : 'is outside of global unicast';
  const open = OPENABLE.has(range) && opened.some((network) => sameKind(parsed, network) && parsed.match(network));
  return open ? undefined : `is ${range}, and in no network of WEBHOOK_NETWORKS`;
}

/**
 * Connects only where {@link whyRefused} has nothing against. The check is part of connecting: the addresses that are looked up are
 * the ones that are judged and the ones that are connected to, so a name that answers differently a moment later gains nothing. A name
 * with one address inside is refused as a whole. A redirect is never followed, so there is no second place to check.
 */
export function guardedConnector(
  networks: readonly string[],
  options: { timeoutMs: number; resolve?: Resolve },
): buildConnector.connector {
  const opened = parseNetworks(networks);
  const resolve: Resolve = options.resolve ?? systemLookup;
  const guarded = (plain: boolean): LookupFunction => {
    return (hostname, lookup, callback) =>
      resolve(hostname, { ...lookup, all: true }, (error, addresses) => {
        const [first] = addresses ?? [];
        if (error || !first) return callback(error ?? new Error('The name has no address.'), '', 0);
        for (const { address } of addresses) {
          const why = whyRefused(address, opened, plain);
          if (why !== undefined) return callback(new AddressRefused(`The name's address ${why}.`), '', 0);
        }
        if (lookup.all) callback(null, addresses);
        else callback(null, first.address, first.family);
      });
  };
  const connectors = {
    secure: buildConnector({ timeout: options.timeoutMs, lookup: guarded(false), allowH2: false }),
    plain: buildConnector({ timeout: options.timeoutMs, lookup: guarded(true), allowH2: false }),
  };
  return (target, callback) => {
    const plain = target.protocol !== 'https:';
    const host = target.hostname.replace(/^\[(.*)\]$/, '$1');
    // Node asks nobody about an address that is written out, so it is judged here.
    const why = isIP(host) === 0 ? undefined : whyRefused(host, opened, plain);
    if (why !== undefined) return callback(new AddressRefused(`The address ${why}.`), null);
    (plain ? connectors.plain : connectors.secure)(target, callback);
  };
}

function sameKind(address: ReturnType<typeof ipaddr.process>, [network]: Network): boolean {
  return address.kind() === network.kind();
}
