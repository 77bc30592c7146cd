namespace Mqtt5.Cli;

/// <summary>What <c>mqtt5 shell</c> is asked for.</summary>
/// <param name="Connection">How it connects unless a command of the shell says otherwise.</param>
/// <param name="ConnectsAtOnce">Whether it connects before the first command.</param>
/// <param name="IsEmbedded">Whether it starts a broker of its own, and connects to that.</param>
internal sealed record ShellRequest(ConnectionRequest Connection, bool ConnectsAtOnce, bool IsEmbedded);
