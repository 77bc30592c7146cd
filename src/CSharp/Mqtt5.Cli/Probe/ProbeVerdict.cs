namespace Mqtt5.Cli;

/// <summary>What a probe found out about one thing.</summary>
internal enum ProbeVerdict
{
    /// <summary>It was tried and works.</summary>
    Works,

    /// <summary>The server says that it does not have it, which the standard allows.</summary>
    Absent,

    /// <summary>It was tried and does not work as the server or the standard says.</summary>
    Fails,

    /// <summary>Something to know, neither good nor bad.</summary>
    Figure,
}
