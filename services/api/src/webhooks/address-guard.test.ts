import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseNetworks, whyRefused } from './address-guard.ts';

const none = parseNetworks([]);

describe('an address that nobody opened', () => {
  it.each([
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['10.0.0.1', 'private'],
    ['172.16.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.1.1', 'private'],
    ['100.64.0.1', 'carrierGradeNat'],
    ['169.254.169.254', 'linkLocal'],
    ['0.0.0.0', 'unspecified'],
    ['192.0.0.1', 'reserved'],
    ['192.0.2.1', 'reserved'],
    ['198.18.0.1', 'reserved'],
    ['224.0.0.1', 'multicast'],
    ['240.0.0.1', 'reserved'],
    ['255.255.255.255', 'broadcast'],
    ['::1', 'loopback'],
    ['::', 'unspecified'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:7f00:1', 'loopback'],
    ['::ffff:10.0.0.1', 'private'],
    ['::ffff:169.254.169.254', 'linkLocal'],
    ['::127.0.0.1', 'loopback'],
    ['::7f00:1', 'outside of global unicast'],
    ['fe80::1', 'linkLocal'],
    ['fe80::1%eth0', 'linkLocal'],
    ['fec0::1', 'deprecatedSiteLocal'],
    ['fc00::1', 'uniqueLocal'],
    ['fd12:3456::1', 'uniqueLocal'],
    ['64:ff9b::7f00:1', 'rfc6052'],
    ['2002:7f00:1::', '6to4'],
    ['2001::1', 'teredo'],
    ['2001:db8::1', 'reserved'],
    ['ff02::1', 'multicast'],
    ['', 'is not an address'],
    ['localhost', 'is not an address'],
    ['127.0.0.1.example.com', 'is not an address'],
  ])('%s is refused: %s', (address, why) => {
    expect(whyRefused(address, none, false)).toContain(why);
  });

  it.each(['8.8.8.8', '1.1.1.1', '172.32.0.1', '2001:4860:4860::8888', '::ffff:8.8.8.8'])('%s is taken', (address) => {
    expect(whyRefused(address, none, false)).toBeUndefined();
    expect(whyRefused(address, none, true)).toContain('without TLS');
  });

  it('is never taken for being written as IPv4 inside of IPv6', () => {
    const byte = fc.integer({ min: 0, max: 255 });
    fc.assert(
      fc.property(fc.tuple(byte, byte, byte, byte), (bytes) => {
        const plain = bytes.join('.');
        const hex = Buffer.from(bytes).toString('hex');
        for (const form of [`::ffff:${plain}`, `::ffff:${hex.slice(0, 4)}:${hex.slice(4)}`])
          expect(whyRefused(form, none, false)).toEqual(whyRefused(plain, none, false));
        for (const form of [`::${hex.slice(0, 4)}:${hex.slice(4)}`, `64:ff9b::${plain}`])
          expect(whyRefused(form, none, false)).toBeDefined();
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a network that was opened', () => {
  const opened = parseNetworks(['10.20.0.0/16', 'fd00:1::/32', '169.254.0.0/16', '224.0.0.0/8', '127.0.0.0/8']);

  it.each(['10.20.3.4', '::ffff:10.20.3.4', 'fd00:1::9', '127.0.0.1'])('takes %s', (address) => {
    expect(whyRefused(address, opened, false)).toBeUndefined();
  });

  it.each(['10.21.0.1', 'fd00:2::9', '169.254.169.254', '224.0.0.1', '::1'])('does not take %s', (address) => {
    expect(whyRefused(address, opened, false)).toBeDefined();
  });

  it('lets loopback alone go without TLS', () => {
    expect(whyRefused('127.0.0.1', opened, true)).toBeUndefined();
    expect(whyRefused('10.20.3.4', opened, true)).toContain('without TLS');
  });
});
