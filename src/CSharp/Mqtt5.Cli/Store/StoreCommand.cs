using System.CommandLine;

namespace Mqtt5.Cli;

/// <summary>The verb <c>store</c>.</summary>
internal static class StoreCommand
{
    /// <summary>What can be done with a store.</summary>
    public static IReadOnlyList<string> Actions { get; } = ["check", "info", "backup", "export"];

    /// <summary>Makes the verb.</summary>
    public static Command Create(Terminal terminal)
    {
        var action = new Argument<string>("ACTION") { Description = "What to do: check, info, backup or export." };
        action.AcceptOnlyFromAmong([.. Actions]);
        var directory = FileOption.Argument("DIR", "The folder of the store.");
        var target = FileOption.Argument("TARGET", "The folder that backup makes.");
        target.Arity = ArgumentArity.ZeroOrOne;
        var command = new Command("store", """
            Looks into the store of 'mqtt5 broker --store', or copies it. The broker may run meanwhile, and nothing in
            the store changes.

              check     reads all of it, and tells each place that is damaged
              info      prints figures, one a line
              backup    copies it to TARGET, which is a store then
              export    prints what is stored, a JSON object a line

            Examples:
              mqtt5 store check /var/lib/mqtt5
              mqtt5 store backup /var/lib/mqtt5 /backup/monday

            Exit codes:
              0    done, and the store is sound
              1    the store is damaged, newer, or none, or the copy could not be written
              2    the command line cannot be used
            """)
        {
            action, directory, target,
        };
        command.SetAction((result, cancellationToken) =>
            StoreVerb.RunAsync(
                new StoreRequest(result.GetValue(action)!, result.GetValue(directory)!, result.GetValue(target)),
                terminal,
                cancellationToken));
        return command;
    }
}
