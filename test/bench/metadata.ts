/** The metadata of the bench's traces, in the packets in which LTTng-UST sends it. */

/** Bytes of a metadata packet. Source: relay-protocol, "Metadata". */
const packetBytes = 4096;
const headerBytes = 37;

/** Longer than one packet, so that a relay has to join two and pad the second. */
const text = `/* CTF 1.8 */\n\n${Array.from(
  { length: 60 },
  (_, id) =>
    `event {\n\tname = "bench:event${id}";\n\tid = ${id};\n\tstream_id = 0;\n\tloglevel = 13;\n};\n\n`,
).join('')}`;

/** What SEND_METADATA carries each time: packet bytes, and how many zero bytes the relay adds. */
export function metadataUnits(): { text: Buffer; padding: number }[] {
  const units: { text: Buffer; padding: number }[] = [];
  for (let at = 0; at < text.length; at += packetBytes - headerBytes) {
    const content = Buffer.from(text.slice(at, at + packetBytes - headerBytes));
    const header = Buffer.alloc(headerBytes);
    header.writeUInt32LE(0x75d11d57, 0);
    header.fill(0x5a, 4, 20);
    header.writeUInt32LE((headerBytes + content.length) * 8, 24);
    header.writeUInt32LE(packetBytes * 8, 28);
    header.writeUInt8(1, 35);
    header.writeUInt8(8, 36);
    units.push({
      text: Buffer.concat([header, content]),
      padding: packetBytes - headerBytes - content.length,
    });
  }
  return units;
}
