import { describe, expect, test } from '@jest/globals';
import { fillAddressTemplate } from '../../../compat/config/address-template.ts';
import { host } from './host.ts';

describe('address templates', () => {
  test.each([
    ['plain text is kept', '10.0.0.1 ::1', '10.0.0.1 ::1'],
    ['the private address is that of the default route first', '{{ GetPrivateIP }}', '10.1.2.3'],
    ['all private addresses are joined by spaces', '{{GetPrivateIPs}}', '10.1.2.3 fd00::2 172.17.0.1'],
    ['the public address leaves private ones out', '{{ GetPublicIP }}', '8.8.4.4'],
    ['an interface is named by a regular expression', '{{ GetInterfaceIP "docker.*" }}', '172.17.0.1'],
    ['backquotes quote too', '{{ GetInterfaceIP `eth0` }}', '10.1.2.3'],
    ['loopback is no interface to be reached at', '{{ GetInterfaceIP "lo" }}', ''],
    ['all addresses of an interface may be asked for', '{{ GetInterfaceIPs "lo" }}', '127.0.0.1 ::1'],
    [
      'a network selects',
      '{{ GetAllInterfaces | include "network" "172.16.0.0/12" | attr "address" }}',
      '172.17.0.1',
    ],
    [
      'selections chain',
      '{{ GetAllInterfaces | exclude "name" "docker" | exclude "flags" "loopback" | include "type" "IPv4" | join "address" "," }}',
      '10.1.2.3,8.8.4.4',
    ],
    ['an RFC selects', '{{ GetAllInterfaces | include "rfc" "4193" | attr "address" }}', 'fd00::2'],
    ['the default interface is known', '{{ GetDefaultInterfaces | limit 1 | attr "name" }}', 'eth0'],
    ['several templates and text mix', '{{ GetPrivateIP }} {{ GetPublicIP }}', '10.1.2.3 8.8.4.4'],
  ])('%s', (_claim, template, address) => {
    expect(fillAddressTemplate(template, host)).toEqual({ ok: true, value: address });
  });

  test.each([
    ['{{ GetFoo }}', 'function "GetFoo" not defined'],
    ['{{ GetPrivateIP', '{{ without }}'],
    ['{{ GetAllInterfaces }}', 'a list of interfaces is not an address'],
    ['{{ GetAllInterfaces | include "colour" "red" | attr "address" }}', 'cannot select by "colour"'],
    ['{{ GetAllInterfaces | include "network" "x" | attr "address" }}', '"x" is not a network'],
    ['{{ GetPrivateIP | attr "address" }}', 'nothing can follow an address'],
    ['{{ GetInterfaceIP "(" }}', '"(" is not a regular expression'],
    ['{{ if true }}1.2.3.4{{ end }}', 'function "if" not defined'],
  ])('%s is refused with a reason', (template, reason) => {
    const filled = fillAddressTemplate(template, host);
    expect(filled).toEqual({ ok: false, error: expect.stringContaining(reason) });
  });
});
