namespace Mqtt5.Cli;

/// <summary>What a part of a format stands for.</summary>
internal enum FormatPartKind
{
    /// <summary>Itself.</summary>
    Literal,

    /// <summary>A part of the time.</summary>
    Time,

    /// <summary>Something of the message.</summary>
    Value,
}
