// The cases that rules are applied to, as columns: one array per attribute, undefined where a case
// has no value. No object is kept per case, so a million cases fit.

export type CaseTable = {
  /** Case ids in any order. */
  ids: string[];
  /** Attribute name to one value per case: number, string, boolean, or list of label names. */
  columns: Record<string, unknown[]>;
};

/** What is wrong with rules or a case: a JSON pointer into the rules, or a case id, or both. */
export type Fault = {
  pointer?: string;
  caseId?: string;
  detail: string;
  range?: { from: number; to: number };
};
