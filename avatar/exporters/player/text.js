// Texts in whichever encoding their program wrote them, as avatar/io/files.py decodes them.

export function decodeText(bytes) {
  const begins = (...mark) => mark.every((byte, i) => bytes[i] === byte);
  if (begins(0xef, 0xbb, 0xbf)) return new TextDecoder("utf-8").decode(bytes);
  if (begins(0xff, 0xfe)) return new TextDecoder("utf-16le").decode(bytes);
  if (begins(0xfe, 0xff)) return new TextDecoder("utf-16be").decode(bytes);
  const start = bytes.subarray(0, 1000);
  // Every other byte of UTF-16 is zero in Latin text.
  if (start.length > 3 && start.filter((byte) => byte === 0).length > 0.4 * start.length) {
    return new TextDecoder(start[0] === 0 ? "utf-16be" : "utf-16le").decode(bytes);
  }
  const strict = (encoding) => {
    try {
      return new TextDecoder(encoding, { fatal: true }).decode(bytes);
    } catch {
      return null;
    }
  };
  const utf8 = strict("utf-8");
  if (utf8 !== null) return utf8;
  // Accented Latin letters decode to scattered signs, Japanese words to kana or several kanji in a row.
  const japanese = strict("shift_jis");
  if (japanese !== null && /[\u3040-\u30ff]|[\u4e00-\u9fff]{2}/.test(japanese)) return japanese;
  return new TextDecoder("windows-1252").decode(bytes);
}
