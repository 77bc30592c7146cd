namespace Mqtt5

/// Why a text is no notation: where, what is wrong there, and what would have been right. It never holds a
/// part of the text, which may be a password, so it can be logged.
[<NoComparison>]
type NotationFault =
    {
        /// The line, from 1. A line ends with CR, LF or both.
        Line: int
        /// The column, from 1, in UTF-16 code units.
        Column: int
        /// What is wrong, as a sentence without a full stop.
        Message: string
        /// What was expected there, such as <c>id, rc or props</c>; empty where the message says it all.
        Expected: string
    }

    /// The fault in one line.
    override this.ToString() =
        let expected = if this.Expected = "" then "" else $"; expected {this.Expected}"
        $"line {this.Line}, column {this.Column}: {this.Message}{expected}"
