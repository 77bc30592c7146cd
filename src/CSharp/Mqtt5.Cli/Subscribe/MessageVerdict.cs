namespace Mqtt5.Cli;

/// <summary>What happens with a received message.</summary>
[Flags]
internal enum MessageVerdict
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>It is printed.</summary>
    Print = 1,

    /// <summary>It is taken from the retained messages of the server.</summary>
    Remove = 2,

    /// <summary>It is the last one.</summary>
    End = 4,
}
