namespace Mqtt5.Cli;

/// <summary>One thing to find out about a server.</summary>
/// <param name="Group">The heading that it stands under.</param>
/// <param name="Name">What it is about.</param>
/// <param name="RunAsync">Tries it.</param>
internal sealed record ProbeCheck(string Group, string Name, Func<ProbeWorld, CancellationToken, Task<ProbeFinding>> RunAsync)
{
    /// <summary>Whether older versions of the protocol do not have it.</summary>
    public bool NeedsMqtt5 { get; init; }
}
