// Files that the person keeps.

/**
 * @param {Blob} blob
 * @param {string} name of the file
 */
export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000); // after the browser has begun to read it
}

/** A title as the name of a file. */
export function fileName(title, suffix) {
  return `${title.replace(/[^\p{L}\p{N} _-]/gu, "").trim() || "avatar"}.${suffix}`;
}
