using System.CommandLine;
using System.CommandLine.Invocation;

namespace Mqtt5.Cli;

/// <summary>The help of <c>mqtt5</c> itself, which fits on a terminal of 24 lines by 80 columns.</summary>
internal sealed class RootHelp(Terminal terminal) : SynchronousCommandLineAction
{
    private const int NameColumns = 16;

    /// <summary>The help text.</summary>
    public static string Text { get; } = string.Concat(
        (string[])[
            "mqtt5 VERB [options]        'mqtt5 VERB --help' tells what a verb takes.\n\n",
            .. CommandLineApplication.Verbs.Select(verb => $"  {verb.Name.PadRight(NameColumns)}{verb.Summary}\n"),
            "  --version       The version\n",
            "Exit codes: 0 done, 1 a failure, 2 bad usage (pub, sub, rr: 1), 3 a defect of\n",
            "mqtt5, 27 timed out, 128 and above a reason code of the server, 130 interrupted\n",
        ]);

    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        terminal.Output.Write(Text);
        return ExitCode.WellFormed;
    }
}
