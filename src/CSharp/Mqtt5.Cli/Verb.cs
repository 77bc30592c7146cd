using System.CommandLine;

namespace Mqtt5.Cli;

/// <summary>A verb of the command. Its options are made only when it is asked for.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Summary">What it does, in a line of the help.</param>
/// <param name="Create">Makes its command line.</param>
/// <param name="FollowsMosquitto">
/// Whether its command line is that of a client of mosquitto: the argument after an option is its value whatever it
/// looks like, the last of two counts, and bad usage ends with 1.
/// </param>
internal sealed record Verb(string Name, string Summary, Func<Terminal, Command> Create, bool FollowsMosquitto = false);
