/** Why a gateway does not start: a sentence for its operator, who can put it right. Anything else is a defect. */
export class StartProblem extends Error {
  override readonly name = 'StartProblem';
}
