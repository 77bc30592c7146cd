using System.CommandLine;
using System.CommandLine.Parsing;

namespace Mqtt5.Cli;

/// <summary>The verb <c>broker</c>.</summary>
internal static class BrokerCommand
{
    /// <summary>Makes the verb.</summary>
    public static Command Create(Terminal terminal)
    {
        var config = FileOption.Of("A JSON file with these settings, by their names without dashes; options of the command line win over it.", "--config");
        var mosquitto = FileOption.Of("A configuration file of mosquitto, with the files that it names; what has no counterpart is told. Other options win over it.", "--mosquitto-config");
        var check = new Option<bool>("--check-config") { Description = "Check the options and the files that they name as a start would, and start nothing: exit code 0, or 2 with file and key." };
        var settings = BrokerSetting.All.Select(setting => (Setting: setting, Option: setting.ToOption())).ToArray();
        var command = new Command("broker", """
            Runs an MQTT broker until Ctrl+C or SIGTERM. It says where it listens, a line each. At SIGHUP, at 'mqtt5 ctl
            reload' and with --reload-on-change it reads the files of the configuration, of passwords, rules and
            certificates again: limits, log-level and listeners change too. If one cannot be used, or would change what
            needs a restart, it says so and all stays as it was.

            Examples:
              mqtt5 broker --port 1883
              mqtt5 broker --port 1883 --ws-port 8080 --password-file passwords
              mqtt5 broker --store /var/lib/mqtt5
              mqtt5 broker --config broker.json --check-config
              mqtt5 broker --mosquitto-config /etc/mosquitto/mosquitto.conf

            Exit codes:
              0    ended by Ctrl+C or SIGTERM, or the configuration can be used
              2    the command line or a file cannot be used, or it cannot be listened there
              4    the store cannot be opened: it is damaged, newer, in use, read-only, or no store
              5    the store failed while the broker ran; what was acknowledged is on the disk
            """)
        {
            config,
            mosquitto,
            check,
        };

        foreach (var (_, option) in settings)
            command.Options.Add(option);

        command.SetAction((result, cancellationToken) =>
        {
            var source = new BrokerSource(result.GetValue(mosquitto), result.GetValue(config), request =>
            {
                foreach (var (setting, option) in settings)
                    Apply(setting, result.GetResult(option), request);
            });

            return result.GetValue(check)
                ? BrokerVerb.CheckAsync(source, terminal, cancellationToken)
                : BrokerVerb.RunAsync(source, terminal, cancellationToken);
        });
        return command;
    }

    private static void Apply(BrokerSetting setting, OptionResult? given, BrokerRequest request)
    {
        if (given is null || given.Implicit)
            return;

        try
        {
            // A switch without a value is on.
            setting.Set(request, given.Tokens.Count == 0 ? "true" : given.Tokens[^1].Value);
        }
        catch (FormatException failure)
        {
            throw new UsageException($"--{setting.Key}: {failure.Message}");
        }
    }
}
