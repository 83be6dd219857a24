// What may be wrong with an answer, told apart by what has to be done about it.

/** A part is missing: another gateway may have it. */
export class Incomplete extends Error {}

/** It is not what was asked for: its sender is not asked again. */
export class Lie extends Error {}
