namespace Mqtt5.Cli;

/// <summary>What the process tells its caller.</summary>
internal static class ExitCode
{
    /// <summary>Every packet is well formed; all went well.</summary>
    public const int WellFormed = 0;

    /// <summary>At least one packet has a fault or is cut off; or a client could not do what it was asked for.</summary>
    public const int Fault = 1;

    /// <summary>The command line or the input cannot be used.</summary>
    public const int BadUsage = 2;

    /// <summary>The time that was given is over; the code of mosquitto's clients.</summary>
    public const int TimedOut = 27;

    /// <summary>The user interrupted the command; what a shell says of one that a signal ended.</summary>
    public const int Interrupted = 130;

    /// <summary>The command itself failed.</summary>
    public const int Defect = 3;

    /// <summary>The store of a broker cannot be opened; another start will not change that.</summary>
    public const int StoreUnusable = 4;

    /// <summary>The store of a broker failed while it ran; another start goes on from what is on the disk.</summary>
    public const int StoreFailed = 5;
}
