namespace Mqtt5.Cli;

/// <summary>What the process tells its caller.</summary>
internal static class ExitCode
{
    /// <summary>Every packet is well formed.</summary>
    public const int WellFormed = 0;

    /// <summary>At least one packet has a fault or is cut off.</summary>
    public const int Fault = 1;

    /// <summary>The command line or the input cannot be used.</summary>
    public const int BadUsage = 2;

    /// <summary>The command itself failed.</summary>
    public const int Defect = 3;
}
