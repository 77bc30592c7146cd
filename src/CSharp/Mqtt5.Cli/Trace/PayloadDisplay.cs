namespace Mqtt5.Cli;

/// <summary>How much of a payload a trace shows.</summary>
internal enum PayloadDisplay
{
    /// <summary>Its first bytes.</summary>
    Start,

    /// <summary>All of it.</summary>
    Full,

    /// <summary>As many stars as it has bytes, in files as well.</summary>
    Hidden,
}
