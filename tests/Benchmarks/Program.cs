using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using Mqtt5.Benchmarks;
using Perfolizer.Horology;

if (args is ["client", .. var load])
    return await ClientLoad.RunAsync(load).ConfigureAwait(false);

if (args is ["broker", .. var brokers])
    return await BrokerLoad.RunAsync(brokers).ConfigureAwait(false);

if (args is ["mqttnet-broker", .. var mqttNet])
    return await MqttNetBroker.RunAsync(mqttNet).ConfigureAwait(false);

if (args is ["embedded", .. var embedded])
    return EmbeddedLoad.Run(embedded);

if (args is ["embedded-host", .. var host])
    return await EmbeddedHost.RunAsync(host).ConfigureAwait(false);

if (args is ["steady-client", .. var steady])
    return SteadyClients.Run(steady);

if (args is ["steady-client-host", .. var client])
    return await SteadyClientHost.RunAsync(client).ConfigureAwait(false);

if (args is ["growing", .. var growing])
    return await GrowingInputs.RunAsync(growing).ConfigureAwait(false);

if (args is ["mqtt5-client", var task])
    return await Mqtt5Tasks.RunAsync(task).ConfigureAwait(false);

if (args is ["mqttnet-client", var role])
    return await MqttNetTasks.RunAsync(role).ConfigureAwait(false);

if (args is ["soak", .. var soak])
    return await Soak.RunAsync(soak).ConfigureAwait(false);

if (args is ["soak-broker"])
    return await SoakBroker.ServeAsync().ConfigureAwait(false);

// Short iterations: on a machine that does other things too, the least of many is nearest to the truth.
var job = Job.Default
    .WithWarmupCount(6)
    .WithIterationCount(30)
    .WithIterationTime(TimeInterval.FromMilliseconds(100));

var config = DefaultConfig.Instance
    .AddJob(job)
    .AddColumn(StatisticColumn.Min, StatisticColumn.Median)
    .HideColumns(Column.RatioSD, Column.Gen0, Column.Gen1, Column.Gen2)
    .WithOptions(ConfigOptions.DisableLogFile);

BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args, config);
return 0;
