// The words and numbers by which motion files are read. They are the program's own (avatar/exporters/page_tables.py) and
// come with the data of an avatar.

export const MOTION_WORDS = {};

export function learnWords(words) {
  Object.assign(MOTION_WORDS, words);
}
