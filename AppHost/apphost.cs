#:sdk Aspire.AppHost.Sdk@13.5.4
#:package Aspire.Hosting.Orleans@13.5.4
#:package Aspire.Hosting.Redis@13.5.4
// Referenced, so that it is built once, before all replicas start it with "dotnet run --no-build".
#:project ../Broker/Broker.csproj
// "aspire run" brings the dashboard and the orchestrator.
#:property AspireUseCliBundle=true
// The repository keeps its package versions in one file; those above are the AppHost's own.
#:property ManagePackageVersionsCentrally=false

// The cluster on one machine: "aspire run" in the root of the repository.
// "aspire run -- --Silos=3 --Gateways=4" starts more of each; "--Port=9000" moves the address of the gateways.

using Microsoft.Extensions.Configuration;

var builder = DistributedApplication.CreateBuilder(args);
var siloCount = builder.Configuration.GetValue("Silos", 2);
var gatewayCount = builder.Configuration.GetValue("Gateways", 2);
var port = builder.Configuration.GetValue("Port", 8080);
var publicUrl = $"http://localhost:{port}";
// All gateways serve the same API, so they share its id, key and secret. "dotnet run --project Gateway" in the root uses this folder too.
var dataFolder = Path.GetFullPath(Path.Combine(builder.AppHostDirectory, "..", ".fanfare"));

#pragma warning disable ASPIRECERTIFICATES001 // Experimental: WithoutHttpsCertificate.
var redis = builder.AddRedis("redis")
    // Interests outlive Redis: a volume, and a log of every write, since snapshots alone would lose the last minute.
    .WithDataVolume()
    .WithArgs("--appendonly", "yes")
    // It listens on loopback only. With a developer certificate it would speak TLS, which not every machine trusts.
    .WithoutHttpsCertificate();
#pragma warning restore ASPIRECERTIFICATES001

var orleans = builder.AddOrleans("fanfare")
    // Generated ids would differ from machine to machine, and the service's id names the stored interests.
    .WithClusterId("fanfare")
    .WithServiceId("fanfare")
    .WithClustering(redis)
    .WithGrainStorage("Default", redis);

// Each replica gets ports of its own: it is told its target ports, and Aspire's proxy holds the public one.
var silos = builder.AddProject<Projects.Broker>("silo", options => options.ExcludeLaunchProfile = true)
    .WithReference(orleans)
    .WithReplicas(siloCount)
    .WithEnvironment("Fanfare__Roles", "Silo")
    // Otherwise a silo picks one of the machine's addresses, which a VPN or a change of network takes away.
    .WithEnvironment("Orleans__Endpoints__AdvertisedIPAddress", "127.0.0.1")
    // Health and metrics only. The check asks the proxy, and so one replica at a time.
    .WithHttpEndpoint()
    .WithHttpHealthCheck("/health")
    .WaitFor(redis);

builder.AddProject<Projects.Broker>("gateway", options => options.ExcludeLaunchProfile = true)
    .WithReference(orleans.AsClient())
    .WithReplicas(gatewayCount)
    .WithEnvironment("Fanfare__Roles", "Gateway")
    .WithEnvironment("Fanfare__Data", dataFolder)
    // A replica knows only its own port; clients are to use the proxy's, which spreads connections over the replicas.
    .WithEnvironment("Fanfare__PublicUrl", publicUrl)
    .WithHttpEndpoint(port)
    .WithExternalHttpEndpoints()
    .WithHttpHealthCheck("/health")
    .WaitFor(silos);

// Traces, metrics and logs of all projects go to the dashboard: Aspire sets OTEL_EXPORTER_OTLP_* for them.
builder.Build().Run();
