use std::sync::Arc;
use tenure::{plan, problem::Source, run};
struct P;
impl run::Observer for P { fn event(&self, e: &run::Event) { if let run::Event::Table(t)=e { eprintln!("{} {} rows {} bytes {:?}", t.name,t.rows,t.bytes,t.elapsed) } else { eprintln!("{e:?}") } } }
#[tokio::main]
async fn main() {
    let a: Vec<String> = std::env::args().collect();
    let base = std::path::PathBuf::from(&a[1]);
    let mut models = vec![];
    for e in glob::glob(&format!("{}/sql/*/*.sql", a[1])).unwrap() { let p=e.unwrap(); models.push(Source::new(p.strip_prefix(&base).unwrap().to_str().unwrap(), std::fs::read_to_string(&p).unwrap())); }
    let params = Some(Source::new("sql/params.yaml", std::fs::read_to_string(base.join("sql/params.yaml")).unwrap()));
    let project = plan::Project{models, params};
    let vars: plan::Variables = std::env::vars().collect();
    let req = plan::Request{ as_of: a.get(3).cloned(), ..Default::default()};
    let t=std::time::Instant::now();
    let pl = plan::compile(&Source::new(a[2].clone(), std::fs::read_to_string(&a[2]).unwrap()), &project, &req, &vars).await;
    eprintln!("compile {:?}", t.elapsed());
    let pl = match pl { Ok(p)=>p, Err(ps)=>{ for p in ps { eprintln!("{}\n", p.render(tenure::problem::Colour::Never)); } std::process::exit(2) } };
    let job = run::Job{plan:&pl, base:&base, variables:&vars, arguments: vec![], observer:&P, clock: run::target::Clock::system()};
    match run::execute(&job).await { Ok(r)=>eprintln!("{:?}", r.elapsed), Err(e)=>{ for p in e.problems() { eprintln!("{p}\n"); } eprintln!("exit {}", e.exit_code()); } }
    let _ = Arc::new(1);
}
